"""Critical user flows (checklist: "Test critical user flows")."""

import pytest

pytestmark = pytest.mark.smoke


@pytest.mark.needs("flows.login")
def test_login(login, refused_login, flows, checks):
    """Users can log in, and a wrong password is refused."""
    checks.must_be_logged_in(login)
    refused_login.status.must_be(flows.login.refused_with)


@pytest.mark.needs("flows.content_listing")
def test_content_listing(content_listing, checks):
    """Content is listed."""
    checks.must_be_listed(content_listing)


@pytest.mark.needs("flows.search")
def test_search(search, checks):
    """Search answers."""
    checks.must_be_listed(search)


@pytest.mark.needs("flows.video_playback")
def test_video_playback(video_playback, flows):
    """Listed videos play: their first bytes arrive, as media."""
    video_playback.listed.must_be_more_than(0)
    for video in video_playback.media:
        video.status.must_be_one_of(200, 206)
        video.media_type.must_start_with_one_of(*flows.video_playback.media_types)
        video.size.must_be_more_than(0)
