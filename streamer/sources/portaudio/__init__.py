"""PortAudio, in a process of its own: `child` is that process, `process` is the program's side, `wire` what they say to each other.

PortAudio looks for devices only when it starts, and starting it again ends every open stream; its drivers hang and crash. So
each microphone has a PortAudio to itself, which is started when it is needed and killed when it doesn't answer. The
program's own process never loads it.
"""
