// The etcd server, which ends together with its parent when PARENT_PIPE is 1.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"

	"phonenumber-operator/tests/control-plane/internal/parent"
)

func main() {
	parent.ExitWhenGone()
	etcdmain.Main(os.Args)
}
