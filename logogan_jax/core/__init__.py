"""What everything else stands on: files, pictures, random keys, time, errors."""
