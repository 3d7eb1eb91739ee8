"""The studio: a page in the browser that shows runs, draws from them, and trains on a folder of images."""
