"""Names of sources: what they lead to, and what of them may be shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from infilink.traces.source_name import is_always_live, source_kind, source_path, without_secrets

SECRET = "hush"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://camera:554/1", "rtsp://camera:554/1"),
        ("rtsp://user:hush@camera:554/1", "rtsp://camera:554/1"),
        ("rtsp://hush@camera/1", "rtsp://camera/1"),
        ("rtsp://user:hu@hush@camera/1", "rtsp://camera/1"),
        ("rtsp://user:hush/hush@camera:554/1?a=b", "rtsp://camera:554/1?a=b"),
        ("rtsp://camera/live@main", "rtsp://camera/live@main"),
        ("rtsp://[::1]:554/a@b", "rtsp://[::1]:554/a@b"),
        ("rtsp://camera/user=admin_password=hush_channel=1_stream=0.sdp", None),
        ("rtsp://camera/user=admin&password=hush&channel=1", None),
        ("http://camera/v.mjpg?token=hush&x=1", "http://camera/v.mjpg?token=***&x=1"),
        ("https://camera/v.m3u8?x=1&Access_Token=hush#t", "https://camera/v.m3u8?x=1&Access_Token=***#t"),
        ("https://s3/v.mp4?X-Amz-Signature=hush", "https://s3/v.mp4?X-Amz-Signature=***"),
        ("rstp://user:hush@camera/1", "rstp://camera/1"),
        ("rtsp://user:hu@sh:hush/rd@10.0.0.5:554/x", "rtsp://10.0.0.5:554/x"),
        ("https://s3/v.mp4?X-Amz-Credential=AK/hush/s3&x=1", "https://s3/v.mp4?X-Amz-Credential=***&x=1"),
        ("https://server/v.m3u8#token=hush", "https://server/v.m3u8#token=***"),
        ("srt://server:9000?streamid=#!::u=me,p=hush", "srt://server:9000?streamid=#!::u=me,p=***"),
        ("http://camera/snap?u=me&p=hush&n=1", "http://camera/snap?u=me&p=***&n=1"),
        ("http://camera/snap?p=1", "http://camera/snap?p=1"),
        ("http://camera/cgi?usr=me&psw=hush", "http://camera/cgi?usr=me&psw=***"),
        ("http://camera/cgi?loginuse=me&loginpas=hush", "http://camera/cgi?loginuse=me&loginpas=***"),
        ("http://camera/v?passwort=hush", "http://camera/v?passwort=***"),
        ("user:hush@camera/1", "camera/1"),
        ("rtsp:user:hush@camera/1", "rtsp:camera/1"),
        ("http:/user:hush@camera/1", "http:/camera/1"),
        ("at 08:00.mp4", "at 08:00.mp4"),
        ("street.mp4", "street.mp4"),
        ("0", "0"),
    ],
)
def test_secrets_are_not_shown(text, shown):
    found = without_secrets(text)
    assert SECRET not in found
    assert shown in (found, None) and without_secrets(found) == found


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20))
def test_whatever_the_password_is_it_is_not_shown(password):
    found = without_secrets(f"rtsp://admin:{password}@camera:554/stream")
    assert found == "rtsp://camera:554/stream"


@pytest.mark.parametrize(
    ("text", "kind", "live"),
    [
        ("0", "camera", True),
        ("rtsp://camera/1", "address", True),
        ("RTSP://camera/1", "address", True),
        ("http://server/a.m3u8", "address", False),
        ("a.mp4", "file", False),
        ("2026-01-31T08:00:00.mp4", "file", False),
        ("cam1://a.mp4", "file", False),
        ("file:///a.mp4", "file", False),
        ("x" * 5000, "file", False),
        ("a\0b", "file", False),
    ],
)
def test_what_a_name_leads_to(text, kind, live):
    assert (source_kind(text), is_always_live(text)) == (kind, live)


def test_an_address_of_a_file_is_its_path(tmp_path):
    path = tmp_path / "50%20 a.mp4"
    path.touch()
    for text in (str(path), path.as_uri(), f"file://localhost{path.as_uri()[7:]}", f"file:{path}", f"file://{path}"):
        assert source_path(text) == path
