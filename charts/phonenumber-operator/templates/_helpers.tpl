{{- define "phonenumber-operator.labels" -}}
app.kubernetes.io/name: phonenumber-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
{{- define "phonenumber-operator.selector" -}}
app.kubernetes.io/name: phonenumber-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
