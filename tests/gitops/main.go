// Command gitops tells what Argo CD, Flux and kstatus make of objects. It reads one JSON document from standard input,
//
//	{"objects": [...], "lua": "...", "expressions": {"current": "...", "failed": "...", "inProgress": "..."},
//	 "kustomizations": [...]}
//
// and writes an array with one {"argo", "message", "flux", "kstatus"} for each object. An answer that is an error begins
// with "error: ". It fails if a Kustomization has a field that Flux does not know.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type question struct {
	Objects     []map[string]any                      `json:"objects"`
	Lua         string                                `json:"lua"`
	Expressions strictly[kustomize.CustomHealthCheck] `json:"expressions"`
	// Only decoded.
	Kustomizations []strictly[kustomizev1.Kustomization] `json:"kustomizations"`
}

type answer struct {
	Argo    string `json:"argo"`
	Message string `json:"message"`
	Flux    string `json:"flux"`
	Kstatus string `json:"kstatus"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return err
	}
	evaluator, err := cel.NewStatusEvaluator(&asked.Expressions.value.HealthCheckExpressions)
	if err != nil {
		return err
	}
	answers := make([]answer, 0, len(asked.Objects))
	for _, decoded := range asked.Objects {
		object, err := integers(decoded)
		if err != nil {
			return err
		}
		argo, message := health(asked.Lua, object)
		answers = append(answers, answer{
			Argo:    argo,
			Message: message,
			Flux:    flux(evaluator, object),
			Kstatus: kstatus(object),
		})
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}

// A value whose unknown fields are an error.
type strictly[T any] struct{ value T }

func (strict *strictly[T]) UnmarshalJSON(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	return decoder.Decode(&strict.value)
}

// As a client of the API server decodes them: whole numbers are int64.
func integers(decoded map[string]any) (map[string]any, error) {
	text, err := json.Marshal(decoded)
	if err != nil {
		return nil, err
	}
	var object map[string]any
	return object, kjson.Unmarshal(text, &object)
}

func flux(evaluator *cel.StatusEvaluator, object map[string]any) string {
	result, err := evaluator.Evaluate(context.Background(), &unstructured.Unstructured{Object: object})
	if err != nil {
		return "error: " + err.Error()
	}
	return string(result.Status)
}

func kstatus(object map[string]any) string {
	result, err := status.Compute(&unstructured.Unstructured{Object: object})
	if err != nil {
		return "error: " + err.Error()
	}
	return string(result.Status)
}
