/* Makes calls fail on files whose path has FAILING_PATH in it.

   FAILING_CALL is the call (read, write, fsync or link, and all that do the same), which fails with
   an input/output error after FAILING_AFTER of them went well. If it is "full", the disk is full
   after FAILING_AFTER bytes: the last write may be short. faults.py builds and preloads this. */

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

static const char *path_of(int number) {
    static __thread char path[4096];
    char link[64];
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", number);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    path[length < 0 ? 0 : length] = 0;
    return path;
}

static int fails(const char *call, int number) { return fails_at(call, path_of(number)); }

/* How many of some bytes may be written: -1 when the call fails. */
static ssize_t room(int number, size_t count) {
    static size_t written = 0;
    const char *which = getenv("FAILING_CALL"), *part = getenv("FAILING_PATH"), *after = getenv("FAILING_AFTER");
    if (fails("write", number)) return -1;
    if (!which || !part || !after || strcmp(which, "full") || !strstr(path_of(number), part)) return count;
    size_t all = strtoull(after, NULL, 10), before = __atomic_fetch_add(&written, count, __ATOMIC_SEQ_CST);
    if (before + count <= all) return count;
    if (before < all) return all - before;
    errno = ENOSPC;
    return -1;
}

#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))

ssize_t read(int n, void *b, size_t c) { return fails("read", n) ? -1 : REAL(read)(n, b, c); }
ssize_t pread(int n, void *b, size_t c, off_t o) { return fails("read", n) ? -1 : REAL(pread)(n, b, c, o); }
ssize_t pread64(int n, void *b, size_t c, off64_t o) { return fails("read", n) ? -1 : REAL(pread64)(n, b, c, o); }
ssize_t preadv(int n, const struct iovec *v, int c, off_t o) { return fails("read", n) ? -1 : REAL(preadv)(n, v, c, o); }
ssize_t preadv64(int n, const struct iovec *v, int c, off64_t o) { return fails("read", n) ? -1 : REAL(preadv64)(n, v, c, o); }
ssize_t preadv2(int n, const struct iovec *v, int c, off_t o, int f) { return fails("read", n) ? -1 : REAL(preadv2)(n, v, c, o, f); }
ssize_t preadv64v2(int n, const struct iovec *v, int c, off64_t o, int f) { return fails("read", n) ? -1 : REAL(preadv64v2)(n, v, c, o, f); }
ssize_t write(int n, const void *b, size_t c) { ssize_t r = room(n, c); return r < 0 ? r : REAL(write)(n, b, r); }
ssize_t pwrite(int n, const void *b, size_t c, off_t o) { ssize_t r = room(n, c); return r < 0 ? r : REAL(pwrite)(n, b, r, o); }
ssize_t pwrite64(int n, const void *b, size_t c, off64_t o) { ssize_t r = room(n, c); return r < 0 ? r : REAL(pwrite64)(n, b, r, o); }
int fsync(int n) { return fails("fsync", n) ? -1 : REAL(fsync)(n); }
int linkat(int a, const char *p, int b, const char *q, int f) { return fails_at("link", q) ? -1 : REAL(linkat)(a, p, b, q, f); }
