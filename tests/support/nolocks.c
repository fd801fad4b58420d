/* A file system without locks, as an NFS server without its lock daemon: in front of the C library (LD_PRELOAD), every request
 * for a lock in the folder that NO_LOCKS_IN names fails with ENOLCK. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static int has_none(int file) {
    char link[64], name[4096];
    const char *folder = getenv("NO_LOCKS_IN");
    ssize_t length;
    if (folder == NULL) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    length = readlink(link, name, sizeof name - 1);
    if (length < 0) return 0;
    name[length] = 0;
    return strncmp(name, folder, strlen(folder)) == 0;
}

static int is_lock(int command) {
    return command == F_SETLK || command == F_SETLKW || command == F_GETLK || command == F_OFD_SETLK ||
           command == F_OFD_SETLKW || command == F_OFD_GETLK;
}

int flock(int file, int operation) {
    static int (*real)(int, int);
    if (real == NULL) real = (int (*)(int, int))dlsym(RTLD_NEXT, "flock");
    if (has_none(file)) { errno = ENOLCK; return -1; }
    return real(file, operation);
}

#define FORWARD(name)                                                                        \
    int name(int file, int command, ...) {                                                   \
        static int (*real)(int, int, ...);                                                   \
        va_list more;                                                                        \
        void *argument;                                                                      \
        if (real == NULL) real = (int (*)(int, int, ...))dlsym(RTLD_NEXT, #name);            \
        va_start(more, command);                                                             \
        argument = va_arg(more, void *);                                                     \
        va_end(more);                                                                        \
        if (is_lock(command) && has_none(file)) { errno = ENOLCK; return -1; }               \
        return real(file, command, argument);                                                \
    }

FORWARD(fcntl)
FORWARD(fcntl64)
