"""Arrays of images, out of files of many kinds."""
