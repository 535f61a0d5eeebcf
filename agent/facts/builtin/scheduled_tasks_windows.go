package builtin

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/windows"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/agent/facts"
)

// scheduledTasksTable is every task of the Task Scheduler, asked over COM, as
// its files alone do not tell when a task ran. Without administrator rights
// the scheduler shows only some, so the table is denied. Unlike osquery's,
// hidden is what the task says and not a copy of enabled.
func scheduledTasksTable() facts.Table {
	return facts.Table{
		Name: "scheduled_tasks", Platforms: onWindows, Source: "Task Scheduler (COM)", Preferred: true,
		Columns: columns(`name text, action text, path text, enabled integer, state text, hidden integer, last_run_time bigint,
			next_run_time bigint, last_run_message text, last_run_code text`),
		Rows: list(func(ctx context.Context, _ facts.Query) ([]muster.Row, error) {
			if !windows.GetCurrentProcessToken().IsElevated() {
				return nil, fmt.Errorf("list all scheduled tasks: %w", facts.ErrDenied)
			}
			return withCOM(ctx, func() ([]muster.Row, error) {
				scheduler, err := newCOM("Schedule.Service")
				if err != nil {
					return nil, err
				}
				defer scheduler.Release()
				if _, err := scheduler.invoke("Connect"); err != nil {
					return nil, fmt.Errorf("connect to the Task Scheduler: %w", err)
				}
				root, err := scheduler.object("GetFolder", `\`)
				if err != nil {
					return nil, err
				}
				defer root.Release()
				return tasksBelow(ctx, root)
			})
		}),
	}
}

func tasksBelow(ctx context.Context, folder comObject) ([]muster.Row, error) {
	const evenHidden = 1
	tasks, err := folder.object("GetTasks", evenHidden)
	if err != nil {
		return nil, err
	}
	defer tasks.Release()
	var rows []muster.Row
	err = tasks.each(func(task comObject) error {
		row, err := taskRow(task)
		rows = append(rows, row)
		return err
	})
	if err != nil {
		return nil, err
	}
	folders, err := folder.object("GetFolders", 0)
	if err != nil {
		return nil, err
	}
	defer folders.Release()
	err = folders.each(func(sub comObject) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		below, err := tasksBelow(ctx, sub)
		rows = append(rows, below...)
		return err
	})
	return rows, err
}

var taskStates = []string{"unknown", "disabled", "queued", "ready", "running"}

func taskRow(task comObject) (muster.Row, error) {
	t, err := task.texts("Name", "Path", "Enabled", "State", "LastTaskResult", "Xml")
	if err != nil {
		return nil, err
	}
	row := muster.Row{"name": t[0], "path": t[1], "enabled": t[2], "state": "unknown", "last_run_code": t[4]}
	if n, err := strconv.ParseUint(t[3], 10, 32); err == nil && int(n) < len(taskStates) {
		row["state"] = taskStates[n]
	}
	if code, err := strconv.ParseInt(t[4], 10, 64); err == nil {
		row["last_run_message"] = strings.TrimSpace(syscall.Errno(uint32(code)).Error())
	}
	definition, err := parseTask(t[5])
	if err != nil {
		return nil, fmt.Errorf("task %s: %w", t[1], err)
	}
	row["action"], row["hidden"] = definition.action(), flag(definition.Hidden)
	for column, property := range map[string]string{"last_run_time": "LastRunTime", "next_run_time": "NextRunTime"} {
		days, err := task.days(property)
		if err != nil {
			return nil, err
		}
		row[column] = num(oleUnix(days, time.Local))
	}
	return row, nil
}
