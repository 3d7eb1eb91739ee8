"""What a run says and writes down: log lines, TensorBoard, pictures, its summary."""
