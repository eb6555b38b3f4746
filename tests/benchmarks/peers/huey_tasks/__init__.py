"""The app of the peer huey, whose ``tasks`` its consumer looks for."""
