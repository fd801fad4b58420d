"""History of events in one SQLite file, which is also the outbox of MQTT."""
