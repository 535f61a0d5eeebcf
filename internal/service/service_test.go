package service

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestStepsStopInReverseOrder(t *testing.T) {
	var s Steps
	var order []string
	failure := errors.New("jammed")
	add := func(name string, err error) {
		s.Add(name, time.Second, func(context.Context) error {
			order = append(order, name)
			return err
		})
	}
	add("store", nil)
	add("server", failure)
	add("listener", nil)
	err := s.Stop()
	if want := []string{"listener", "server", "store"}; !slices.Equal(order, want) {
		t.Errorf("stopped %v, want %v", order, want)
	}
	if !errors.Is(err, failure) || !strings.Contains(err.Error(), "stop server") {
		t.Errorf("said %v", err)
	}
	if err := s.Stop(); err != nil || len(order) != 3 {
		t.Errorf("stopped twice: %v, %v", order, err)
	}
}

func TestStepThatHangsHindersNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Steps
		stopped := false
		free := make(chan struct{})
		s.Add("store", time.Second, func(context.Context) error { stopped = true; return nil })
		s.Add("tailnet", 5*time.Second, func(context.Context) error { <-free; return nil })
		start := time.Now()
		err := s.Stop()
		if err == nil || !strings.Contains(err.Error(), "stop tailnet: not done after 5s") || !stopped {
			t.Errorf("said %v; the store stopped: %v", err, stopped)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("took %v", took)
		}
		close(free)
	})
}
