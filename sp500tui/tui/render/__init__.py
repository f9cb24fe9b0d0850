"""Line rendering and list widgets shared by all slices."""
