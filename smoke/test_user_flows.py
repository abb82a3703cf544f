"""Critical user flows (checklist: "Test critical user flows")."""

import pytest

pytestmark = pytest.mark.smoke


@pytest.mark.needs("flows.login")
def test_login(login, refused_login, flows):
    """Users can log in, and a wrong password is refused."""
    login.status.must_be(200)
    login.has_token.must_be("present")
    refused_login.status.must_be(flows.login.refused_with)


@pytest.mark.needs("flows.content_listing")
def test_content_listing(content_listing, flows):
    """Content is listed."""
    content_listing.status.must_be(200)
    content_listing.count.must_be_between(flows.content_listing.at_least, flows.content_listing.most)
    content_listing.shape.must_be("complete")


@pytest.mark.needs("flows.search")
def test_search(search, flows):
    """Search answers."""
    search.status.must_be(200)
    search.count.must_be_between(flows.search.at_least, flows.search.most)
    search.shape.must_be("complete")


@pytest.mark.needs("flows.video_playback")
def test_video_playback(video_playback, flows):
    """Listed videos play: their first bytes arrive, as media."""
    video_playback.listed.must_be_more_than(0)
    for video in video_playback.media:
        video.status.must_be_one_of(200, 206)
        video.media_type.must_start_with_one_of(*flows.video_playback.media_types)
        video.size.must_be_more_than(0)
