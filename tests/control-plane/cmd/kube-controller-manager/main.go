// The Kubernetes controller manager, which ends together with its parent when PARENT_PIPE is 1.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // registers the client metrics
	_ "k8s.io/component-base/metrics/prometheus/version"  // registers the version metric
	"k8s.io/kubernetes/cmd/kube-controller-manager/app"

	"phonenumber-operator/tests/control-plane/internal/parent"
)

func main() {
	parent.ExitWhenGone()
	os.Exit(cli.Run(app.NewControllerManagerCommand()))
}
