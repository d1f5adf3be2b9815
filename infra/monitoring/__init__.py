"""What is watched: dashboards to look at, alarms that call."""
