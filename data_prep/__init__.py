"""Command-line tools that turn logos of any kind into TFRecord shards."""
