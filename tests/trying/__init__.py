"""Settings for projects whose ``crontab`` modules do harm; a test writes the apps."""
