package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/passmuster/muster"
	"github.com/passmuster/muster/collector/store/tables"
)

// noPartition is check_violation: there is no partition of the month.
const noPartition = "23514"

// dropWait is how long everyone may have to wait for a partition to go.
const dropWait = "2s"

// months that need a partition now: the present one and the next.
func months(now time.Time) []int {
	return []int{month(now), month(now.UTC().AddDate(0, 0, 1-now.UTC().Day()).AddDate(0, 1, 0))}
}

func month(t time.Time) int { return t.UTC().Year()*100 + int(t.UTC().Month()) }

func (s *Store) monthsOf(reports []muster.Accepted) []int {
	list := months(s.Now())
	for i := range reports {
		if m := reports[i].Envelope.Month; m != 0 {
			list = append(list, m)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func partition(month int) string { return fmt.Sprintf("evidence_%06d", month) }

// addPartitions makes those of the months that are not there.
func (s *Store) addPartitions(ctx context.Context, months ...int) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := addPartitions(ctx, tx, months); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func addPartitions(ctx context.Context, tx tables.Querier, months []int) error {
	_, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, lockPartitions)
	if err != nil {
		return err
	}
	have, err := partitions(ctx, tx)
	for _, m := range months {
		if err == nil && !slices.Contains(have, m) {
			// Attached, it needs no lock that commits would wait for.
			_, err = tx.ExecContext(ctx, fmt.Sprintf(`CREATE TABLE %[1]s (LIKE evidence INCLUDING ALL);
				ALTER TABLE evidence ATTACH PARTITION %[1]s FOR VALUES IN (%[2]d)`, partition(m), m))
		}
	}
	if err != nil {
		return fmt.Errorf("make partitions of evidence: %w", err)
	}
	return nil
}

// partitions are the months that have one, the oldest first.
func partitions(ctx context.Context, q tables.Querier) (months []int, err error) {
	rows, err := q.QueryContext(ctx, `SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'evidence'::regclass ORDER BY c.relname`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		m, err := strconv.Atoi(strings.TrimPrefix(name, "evidence_"))
		if err != nil {
			return nil, err
		}
		months = append(months, m)
	}
	return months, rows.Err()
}

// Retain lets go of the evidence of the months that ended before cutoff, each as a whole,
// of tickets that are out of date, and of deliveries that ended before cutoff.
func (s *Store) Retain(ctx context.Context, cutoff time.Time) (envelopes int, err error) {
	const what = "let go of evidence"
	if err := s.addPartitions(ctx, months(s.Now())...); err != nil {
		return 0, wrap(what, err)
	}
	have, err := partitions(ctx, s.db)
	if err != nil {
		return 0, wrap(what, err)
	}
	for _, m := range have {
		if m >= month(cutoff) {
			break
		}
		n := 0
		err := again(ctx, passing, func() error {
			return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
				if err := tx.QueryRow(ctx, `SELECT count(*) FROM `+partition(m)).Scan(&n); err != nil {
					return err
				}
				_, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '`+dropWait+`'; DROP TABLE `+partition(m))
				return err
			})
		})
		if err != nil {
			return envelopes, wrap(what, err)
		}
		envelopes += n
	}
	n, err := s.DB.Retain(ctx, cutoff)
	return envelopes + n, err
}
