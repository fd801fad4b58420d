"""PortAudio in a separate process: `child` is that process, `process` the program's side, `wire` their protocol.

PortAudio looks for devices only when it starts, a restart ends all its streams, and drivers hang and crash. So each
microphone has its own PortAudio process, started when needed and killed if it doesn't answer. The main process never
loads PortAudio.
"""
