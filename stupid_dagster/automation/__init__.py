"""What Dagster runs by itself: jobs, schedules and sensors, and the resource they share."""
