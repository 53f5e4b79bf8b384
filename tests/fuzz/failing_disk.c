/* Makes calls on files whose path has FAILING_PATH in it fail with an input/output error.

   FAILING_CALL is the call (read, write, fsync or link; with all that do the same), FAILING_AFTER
   how many of them go well. Built and preloaded by faults.py. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int fails_at(const char *call, const char *path) {
    static int calls = 0;
    const char *which = getenv("FAILING_CALL"), *part = getenv("FAILING_PATH"), *after = getenv("FAILING_AFTER");
    if (!which || !part || strcmp(which, call) || !strstr(path, part)) return 0;
    if (__atomic_fetch_add(&calls, 1, __ATOMIC_SEQ_CST) < atoi(after ? after : "0")) return 0;
    errno = EIO;
    return 1;
}

static int fails(const char *call, int number) {
    char link[64], path[4096];
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", number);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length < 0) return 0;
    path[length] = 0;
    return fails_at(call, path);
}

#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))

ssize_t read(int n, void *b, size_t c) { return fails("read", n) ? -1 : REAL(read)(n, b, c); }
ssize_t pread(int n, void *b, size_t c, off_t o) { return fails("read", n) ? -1 : REAL(pread)(n, b, c, o); }
ssize_t pread64(int n, void *b, size_t c, off64_t o) { return fails("read", n) ? -1 : REAL(pread64)(n, b, c, o); }
ssize_t preadv(int n, const struct iovec *v, int c, off_t o) { return fails("read", n) ? -1 : REAL(preadv)(n, v, c, o); }
ssize_t preadv64(int n, const struct iovec *v, int c, off64_t o) { return fails("read", n) ? -1 : REAL(preadv64)(n, v, c, o); }
ssize_t preadv2(int n, const struct iovec *v, int c, off_t o, int f) { return fails("read", n) ? -1 : REAL(preadv2)(n, v, c, o, f); }
ssize_t preadv64v2(int n, const struct iovec *v, int c, off64_t o, int f) { return fails("read", n) ? -1 : REAL(preadv64v2)(n, v, c, o, f); }
ssize_t write(int n, const void *b, size_t c) { return fails("write", n) ? -1 : REAL(write)(n, b, c); }
ssize_t pwrite(int n, const void *b, size_t c, off_t o) { return fails("write", n) ? -1 : REAL(pwrite)(n, b, c, o); }
ssize_t pwrite64(int n, const void *b, size_t c, off64_t o) { return fails("write", n) ? -1 : REAL(pwrite64)(n, b, c, o); }
int fsync(int n) { return fails("fsync", n) ? -1 : REAL(fsync)(n); }
int linkat(int a, const char *p, int b, const char *q, int f) { return fails_at("link", q) ? -1 : REAL(linkat)(a, p, b, q, f); }
