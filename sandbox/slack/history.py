"""The workspace as it was before the sandbox came up: many channels, and what people wrote in a few of them."""

from __future__ import annotations

from sandbox.slack.model import Author, Workspace, identifier

_TEAMS = (
    "android",
    "billing",
    "catalog",
    "data",
    "design",
    "editorial",
    "ios",
    "legal",
    "player",
    "search",
    "tv",
    "web",
)
_TOPICS = ("alerts", "builds", "daily", "feedback", "help", "hiring", "metrics", "planning", "reviews", "social")


def seed_slack(workspace: Workspace) -> None:
    """Fill it. More channels than fit on one page of the list, those that matter behind the others."""
    for team in _TEAMS:
        for topic in _TOPICS:
            workspace.add_channel(f"{team}-{topic}")
    workspace.add_channel("general")  # our app was never invited there
    workspace.add_channel("security", is_private=True)
    workspace.add_channel("deployments-2024", is_member=True, is_archived=True)
    deployments = workspace.add_channel("deployments", is_member=True)
    incidents = workspace.add_channel("incidents", is_member=True)
    noa, dan = Author(identifier("U"), "Noa"), Author(identifier("U"), "Dan")
    workspace.add_history(deployments, noa, "🚀 Production deployment starting in 30 minutes\nBranch: main", 3.1)
    workspace.add_history(deployments, noa, "✅ Production deployment complete, 15 minutes stable", 3.0)
    workspace.add_history(incidents, dan, "🚨 Search is slow for everybody, looking into it", 20.0)
    workspace.add_history(incidents, dan, "Resolved: an index was missing after the move", 19.9)
