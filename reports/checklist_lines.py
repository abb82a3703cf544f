"""The deployment checklist, section by section in its own order: each line, and the criteria that answer it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial


@dataclass(frozen=True, slots=True)
class ChecklistLine:
    """One line. `criteria` answer it in `phases`; `person` says that somebody must look in any case."""

    text: str
    criteria: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()
    person: bool = False


# The lines of each part of a section by its heading, which is empty where a section has no parts.
ChecklistSection = Mapping[str, tuple[ChecklistLine, ...]]

HEALTH = ("basic_health", "readiness", "deep_health")
FLOWS = ("login", "content_listing", "search", "video_playback")
SMOKE = (*HEALTH, "serving_the_deployed_revision", "certificate_is_valid", *FLOWS)


def _line(phases: tuple[str, ...], text: str, *criteria: str, person: bool = False) -> ChecklistLine:
    return ChecklistLine(text, criteria, phases, person)


_pre = partial(_line, ("pre",))
_deploy = partial(_line, ("deploy",))
_smoke = partial(_line, ("smoke",))
_monitor = partial(_line, ("monitor",))
_after = partial(_line, ("smoke", "monitor"))
_followup = partial(_line, ("followup",))

# "Rollback" stands between the two: its lines are answered by what a rollback did, not by criteria.
BEFORE_ROLLBACK: Mapping[str, ChecklistSection] = {
    "Pre-Deployment": {
        "Code Quality Verification": (
            _pre("The full test suite passes, with enough coverage", "test_suite_passes", "coverage_meets_minimum"),
            _pre("The quality checks pass", "quality_checks_pass"),
            _pre("No TODO, FIXME, MOCK or STUB", "no_placeholder_code"),
        ),
        "Staging Environment Verification": (
            _pre("Staging has run the release for 24 hours", "staging_soaked", "staging_runs_release_candidate"),
            _pre("Smoke tests against staging", *SMOKE),
            _pre("Staging's health checks", "staging_deep_health"),
            _pre("Staging's errors in Sentry", "staging_error_rate", "staging_has_no_new_error_types"),
        ),
        "Production Readiness": (
            _pre("Inside the deployment window", "inside_deployment_window"),
            _pre("No open P0 or P1 incident", "no_open_critical_incidents"),
            _pre("Changelog: read by a person", "changelog_reviewed", person=True),
            _pre(
                "Changelog: covers the release, breaking changes are declared",
                "changelog_covers_release",
                "breaking_changes_are_declared",
            ),
            _pre("Migrations: can run more than once", "migrations_are_idempotent"),
            _pre("Migrations: no destructive operations", "migrations_have_no_destructive_operations"),
            _pre("Migrations: a way back", "migrations_can_be_rolled_back"),
            _pre("Migrations: tried on a copy that the old revision can read", "migrations_are_backward_compatible"),
            _pre("Production is healthy, and its baseline is recorded", "production_is_healthy"),
            _pre("A rollback is ready", "rollback_plan_is_ready", "rollback_is_permitted", "traffic_is_not_pinned"),
            _pre("Everything that later phases ask does answer", "rollout_sources_answer"),
            _pre("The team is notified", "team_is_notified"),
        ),
        "Database Migration Deployment": (_pre("The backup can be restored", "backup_is_restorable"),),
    },
    "Deployment Execution": {
        "Trigger Deployment": (_deploy("The deployment workflow runs", "deployment_is_triggered"),),
        "Monitor Deployment Progress": (
            _deploy("Startup and database connection in the logs, and no error", "startup_logs_are_clean"),
            _deploy("A smooth transition in Cloud Run's metrics", "transition_is_smooth"),
            _deploy("Migration: it completes without errors", "migration_completed"),
            _deploy("High risk: the canary holds at each step", "canary_steps_hold"),
        ),
        "Verify Deployment Success": (
            _deploy("All jobs are green", "workflow_jobs_are_green"),
            _deploy("It took no longer than it should", "deployment_duration"),
            _deploy("Both revision numbers are noted", "revisions_are_recorded"),
        ),
    },
    "Post-Deployment Verification": {
        "Immediate Verification": (
            _smoke("Health: basic", "basic_health"),
            _smoke("Health: readiness", "readiness"),
            _smoke("Health: deep", "deep_health"),
            _smoke("The deployed revision serves", "serving_the_deployed_revision"),
            _smoke("The certificate is valid", "certificate_is_valid"),
        ),
        "Critical User Flows": (
            _smoke("User login", "login"),
            _smoke("Content listing", "content_listing"),
            _smoke("Search", "search"),
            _smoke("Video playback", "video_playback"),
        ),
    },
    "Monitoring Period": {
        "Sentry": (
            _monitor("Error rate", "sentry_error_rate"),
            _monitor("No error types that staging has not seen", "no_new_error_types"),
            _monitor("No critical errors", "no_critical_errors"),
        ),
        "Cloud Run": (
            _monitor("Request count matches the baseline", "traffic_matches_baseline"),
            _monitor("Latency, 95th percentile", "p95_latency"),
            _monitor("Error rate", "cloud_run_error_rate"),
            _monitor("Instance count", "instance_count_in_range"),
            _monitor("No container restarts", "no_container_restarts"),
        ),
        "Database and external services": (
            _monitor("MongoDB: latency", "mongodb_latency"),
            _monitor("MongoDB: no connection errors", "no_database_connection_errors"),
            _monitor("OpenAI: latency", "openai_latency"),
            _monitor("ElevenLabs: latency", "elevenlabs_latency"),
            _monitor("Pinecone: latency", "pinecone_latency"),
        ),
        "All along": (
            _monitor("The service stays healthy", "service_stays_healthy"),
            _monitor("The user flows keep working", "user_flows_keep_working"),
        ),
    },
    "Success Criteria": {
        "": (
            _smoke("All smoke tests pass", *SMOKE),
            _after("Health checks are healthy", *HEALTH, "service_stays_healthy"),
            _monitor("No error rate spike in Sentry", "sentry_error_rate"),
            _monitor("Cloud Run error rate", "cloud_run_error_rate"),
            _monitor("Latency, 95th percentile", "p95_latency"),
            _after("Critical user flows work", *FLOWS, "user_flows_keep_working"),
            _monitor("No new error types in Sentry", "no_new_error_types"),
            _monitor("Database latency", "mongodb_latency"),
        ),
    },
}

AFTER_ROLLBACK: Mapping[str, ChecklistSection] = {
    "Post-Deployment Actions": {
        "Immediate (T+15 to T+30 minutes)": (
            _followup("The deployment log is updated", "deployment_is_logged"),
            _followup("The team is told of the success", "team_is_told_of_success"),
            _followup("Fifteen more minutes are quiet", "second_watch_is_quiet"),
        ),
        "Short-term (T+1 to T+24 hours)": (
            _followup("The error trend is flat", "error_trend_is_flat"),
            _followup("No new error patterns", "no_new_error_patterns"),
            _followup("Resources are as before, or approved", "resources_unchanged_or_approved"),
            _followup("Cloud Run costs are reviewed", "cloud_run_costs_reviewed", person=True),
            _followup("User feedback is read", "user_feedback_reviewed", person=True),
        ),
        "Weekly": (
            _followup("CHANGELOG.md is updated", "changelog_is_updated"),
            _followup("Deployment metrics are within their targets", "deployment_metrics"),
        ),
        "After a hotfix": (
            _followup("Post-mortem, root cause and preventive items are written", "post_mortem_written", person=True),
        ),
    },
}
