-- +goose Up

-- Who judges by a policy is listed by county and then by host.
DROP INDEX hosts_by_policy;
CREATE INDEX hosts_by_policy ON hosts (policy_digest, county, id) WHERE state = 'active' AND replaced_by = '';
