"""Results over MQTT."""
