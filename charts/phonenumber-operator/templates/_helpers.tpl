{{- /* The labels of an object. */}}
{{- define "phonenumber-operator.labels" -}}
{{- include "phonenumber-operator.labelsAnd" (list . dict) }}
{{- end }}

{{- /* The same with labels of its own, which win over those of every object: the context and the labels in a list. */}}
{{- define "phonenumber-operator.labelsAnd" -}}
{{- $context := first . }}
{{- with mergeOverwrite (dict) $context.Values.commonLabels (last .) }}
{{- toYaml . }}
{{ end }}
{{- with $context -}}
app.kubernetes.io/name: phonenumber-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
{{- end }}

{{- define "phonenumber-operator.selector" -}}
app.kubernetes.io/name: phonenumber-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* The name of the objects in a namespace. */}}
{{- define "phonenumber-operator.name" -}}
{{- .Values.fullnameOverride | default .Values.nameOverride | default "phonenumber-operator" }}
{{- end }}

{{- /* The name of the operator's ServiceAccount. */}}
{{- define "phonenumber-operator.account" -}}
{{- .Values.serviceAccount.name | default (include "phonenumber-operator.name" .) }}
{{- end }}

{{- /*
The name of what exists once in a cluster. Two releases for all namespaces would work against each other: they meet here, and
Helm refuses the second. Releases for some namespaces each have their own.
*/}}
{{- define "phonenumber-operator.clusterName" -}}
{{- if .Values.watchNamespaces }}phonenumber-operator-{{ .Release.Namespace }}{{ else }}phonenumber-operator{{ end }}
{{- end }}

{{- /* The user that the operator is. */}}
{{- define "phonenumber-operator.user" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "phonenumber-operator.account" . }}
{{- end }}

{{- /* A duration such as 1500ms, 30s, 10m or 1h in whole seconds, rounded up. */}}
{{- define "phonenumber-operator.seconds" -}}
{{- $count := regexFind "^[0-9]+" . | int64 }}
{{- $unit := regexFind "[a-z]+$" . }}
{{- if eq $unit "ms" }}{{ div (add $count 999) 1000 }}{{ else }}{{ mul $count (get (dict "s" 1 "m" 60 "h" 3600) $unit) }}{{ end }}
{{- end }}

{{- /* Combinations of values that cannot work. */}}
{{- define "phonenumber-operator.check" -}}
{{- if and .Values.watchNamespaces (not .Values.flags.installationId) }}
{{- fail "watchNamespaces needs flags.installationId: several such releases may share a cluster, and each must know its own numbers. Choose a text that no other release at your provider accounts has, and never change it" }}
{{- end }}
{{- if and (gt (int .Values.replicas) 1) (not .Values.flags.leaderElect) }}
{{- fail "replicas is more than 1 but flags.leaderElect is false: replicas that do not take turns work against each other" }}
{{- end }}
{{- $timeout := include "phonenumber-operator.seconds" .Values.flags.purchaseTimeout | int64 }}
{{- $visibility := include "phonenumber-operator.seconds" .Values.flags.purchaseVisibility | int64 }}
{{- if gt (include "phonenumber-operator.seconds" .Values.flags.inventoryInterval | int64) 86400 }}
{{- fail "flags.inventoryInterval is longer than 24h" }}
{{- end }}
{{- if gt $timeout 600 }}
{{- fail "flags.purchaseTimeout is longer than 10m" }}
{{- end }}
{{- if or (lt $visibility (add $timeout 5)) (gt $visibility 604800) }}
{{- fail "flags.purchaseVisibility must be at least 5s more than flags.purchaseTimeout, and at most 168h: before a purchase request has ended, nobody can know whether it bought a number" }}
{{- end }}
{{- if and .Values.flags.providerEndpoints (not .Values.flags.allowInsecureEndpoints) }}
{{- range $provider, $url := .Values.flags.providerEndpoints }}
{{- if hasPrefix "http://" $url }}
{{- fail (printf "flags.providerEndpoints.%s is plain http, and flags.allowInsecureEndpoints is false" $provider) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The namespaces that an admission policy is for: those that this release looks after. */}}
{{- define "phonenumber-operator.whereItLooks" -}}
{{- with .Values.watchNamespaces }}
matchResources:
  namespaceSelector:
    matchExpressions:
      - {key: kubernetes.io/metadata.name, operator: In, values: {{ toJson . }}}
{{- end }}
{{- end }}

{{- define "phonenumber-operator.notInAnEmergency" -}}
- name: not-in-an-emergency
  expression: >-
    !('{{ .Values.admission.breakGlassGroup }}' in request.userInfo.groups)
{{- end }}

{{- /*
Rules about a spec are asked when a spec is made or changed. What others do to an object that is there (labels, finalizers,
status, its deletion) must pass, also where a rule was tightened since.
*/}}
{{- define "phonenumber-operator.specChanges" -}}
- name: the-spec-changes
  expression: >-
    request.operation == 'CREATE' || (object.spec != oldObject.spec && !has(object.metadata.deletionTimestamp))
{{- end }}

{{- /* A list of strings in CEL. */}}
{{- define "phonenumber-operator.strings" -}}
[{{ range $at, $text := . }}{{ if $at }}, {{ end }}'{{ $text }}'{{ end }}]
{{- end }}
