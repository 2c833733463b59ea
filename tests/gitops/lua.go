package main

import (
	"context"
	"fmt"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// Argo CD gives a script a second, and these libraries alone.
const luaTimeout = time.Second

var luaLibraries = []struct {
	name string
	open lua.LGFunction
}{
	{lua.LoadLibName, lua.OpenPackage},
	{lua.BaseLibName, lua.OpenBase},
	{lua.TabLibName, lua.OpenTable},
}

// health runs a health check of Argo CD: the script finds the object in the global obj, and returns a table with status
// and message.
func health(script string, object map[string]any) (string, string) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, library := range luaLibraries {
		call := lua.P{Fn: state.NewFunction(library.open), NRet: 0, Protect: true}
		if err := state.CallByParam(call, lua.LString(library.name)); err != nil {
			return "error: " + err.Error(), ""
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), luaTimeout)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("obj", value(state, object))
	if err := state.DoString(script); err != nil {
		return "error: " + err.Error(), ""
	}
	returned, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return fmt.Sprintf("error: the script returned %s", state.Get(-1).Type()), ""
	}
	return lua.LVAsString(returned.RawGetString("status")), lua.LVAsString(returned.RawGetString("message"))
}

func value(state *lua.LState, decoded any) lua.LValue {
	switch decoded := decoded.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, item := range decoded {
			table.RawSetString(key, value(state, item))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, item := range decoded {
			table.Append(value(state, item))
		}
		return table
	case string:
		return lua.LString(decoded)
	case bool:
		return lua.LBool(decoded)
	case int64:
		return lua.LNumber(decoded)
	case float64:
		return lua.LNumber(decoded)
	default:
		return lua.LNil
	}
}
