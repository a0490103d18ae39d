"""The board behind a real nginx, below a path that the proxy passes on or takes off."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from kafka import KafkaProducer
from playwright.sync_api import Page

from deploy.local.process import HOST, free_ports
from deploy.local.stack import Stack
from tests.conftest import background, clean_environment, wait_until
from tests.integration.consumer.board.conftest import Feed, address, environment, make_topics, wait_for_pictures
from tests.tools import require

NGINX = """
daemon off;
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen {host}:{port};
    location /board/ {{
      proxy_pass {board}{path};
      proxy_set_header Host $http_host;
    }}
  }}
}}
"""


@pytest.fixture(params=["/", ""], ids=["path taken off", "path passed on"])
def proxied(
    request: pytest.FixtureRequest, stack: Stack, producer: KafkaProducer, counter_prefix: str, tmp_path: Path
) -> Iterator[tuple[str, Feed]]:
    """Where nginx shows a board, and what feeds it."""
    feed = Feed(f"proxied-{tmp_path.name}-{len(request.param)}", producer)
    make_topics(stack, feed.topic)
    variables = clean_environment() | stack.environment | environment(feed.topic, counter_prefix)
    with background(tmp_path, variables) as start:
        board = address(start("consumer", "board", "--port", "0", "--root-path", "/board"))
        (port,) = free_ports(1)
        config = tmp_path / "nginx.conf"
        config.write_text(NGINX.format(folder=tmp_path, host=HOST, port=port, board=board, path=request.param))
        nginx = subprocess.Popen([require("nginx"), "-p", tmp_path, "-c", config, "-e", "stderr"])
        try:
            yield f"http://{HOST}:{port}/board/", feed
        finally:
            nginx.terminate()
            nginx.wait()


def test_everything_works_below_a_path_and_posts_come_by_themselves(
    proxied: tuple[str, Feed], page: Page, redis_client: redis.Redis
) -> None:
    url, feed = proxied
    feed.show(3, city="london")
    wait_until(lambda: page.goto(url) and page.locator(".card").count() == 3, what="the wall")
    wait_for_pictures(page, 3)
    feed.show(2, city="london")  # through events that nginx must not hold back
    wait_for_pictures(page, 5)
    page.locator("select[name=city]").select_option("london")
    assert page.url == f"{url}?city=london"
    page.locator(".card a").first.click()
    assert page.url.startswith(f"{url}post/")
    wait_for_pictures(page, 1)
    page.get_by_role("link", name="Cities").click()
    assert page.url == f"{url}cities"
    page.get_by_role("link", name="Live").click()
    assert page.url == url
