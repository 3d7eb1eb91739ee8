"""HTML as tests read it."""

import collections
import html.parser


class Balanced(html.parser.HTMLParser):
    """Fails on an element that is not closed and on a link to another file; collects what is read and the ids."""

    def __init__(self, text):
        super().__init__()
        self.open = []
        self.text = []
        self.names = collections.Counter()
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.names.update(value for name, value in attrs if name == "id")
        links = [value for name, value in attrs if name in ("src", "href")]
        assert all(value.startswith(("#", "data:image/")) for value in links)
        if tag not in ("meta", "br", "wbr", "img", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text.append(data)
