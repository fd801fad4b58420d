"""The view in a browser and the HTTP interface. It sees `streamer.messages` and what it is handed."""
