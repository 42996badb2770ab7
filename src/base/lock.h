/* base/lock.h - a mutex and a reader-writer lock that clang's -Wthread-safety can check. */
#pragma once

#include <pthread.h>

#ifdef __clang__
#define CAPABILITY(name)     __attribute__((capability(name)))
#define ACQUIRE(...)         __attribute__((acquire_capability(__VA_ARGS__)))
#define RELEASE(...)         __attribute__((release_capability(__VA_ARGS__)))
#define REQUIRES(...)        __attribute__((requires_capability(__VA_ARGS__)))
#define ACQUIRE_SHARED(...)  __attribute__((acquire_shared_capability(__VA_ARGS__)))
#define RELEASE_SHARED(...)  __attribute__((release_shared_capability(__VA_ARGS__)))
#define REQUIRES_SHARED(...) __attribute__((requires_shared_capability(__VA_ARGS__)))
#define NO_LOCK_CHECK        __attribute__((no_thread_safety_analysis))
#else
#define CAPABILITY(name)
#define ACQUIRE(...)
#define RELEASE(...)
#define REQUIRES(...)
#define ACQUIRE_SHARED(...)
#define RELEASE_SHARED(...)
#define REQUIRES_SHARED(...)
#define NO_LOCK_CHECK
#endif

struct CAPABILITY("mutex") mutex {
    pthread_mutex_t pthread;
};

static inline void mutex_lock(struct mutex *mutex) ACQUIRE(*mutex) NO_LOCK_CHECK;
static inline void mutex_lock(struct mutex *mutex)
{
    (void)pthread_mutex_lock(&mutex->pthread);
}

static inline void mutex_unlock(struct mutex *mutex) RELEASE(*mutex) NO_LOCK_CHECK;
static inline void mutex_unlock(struct mutex *mutex)
{
    (void)pthread_mutex_unlock(&mutex->pthread);
}

/* Many readers or one writer. Initialize `pthread` with PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP, else
 * a steady stream of readers keeps writers out for ever. */
struct CAPABILITY("rwlock") rwlock {
    pthread_rwlock_t pthread;
};

static inline void rwlock_read_lock(struct rwlock *lock) ACQUIRE_SHARED(*lock) NO_LOCK_CHECK;
static inline void rwlock_read_lock(struct rwlock *lock)
{
    (void)pthread_rwlock_rdlock(&lock->pthread);
}

static inline void rwlock_read_unlock(struct rwlock *lock) RELEASE_SHARED(*lock) NO_LOCK_CHECK;
static inline void rwlock_read_unlock(struct rwlock *lock)
{
    (void)pthread_rwlock_unlock(&lock->pthread);
}

static inline void rwlock_write_lock(struct rwlock *lock) ACQUIRE(*lock) NO_LOCK_CHECK;
static inline void rwlock_write_lock(struct rwlock *lock)
{
    (void)pthread_rwlock_wrlock(&lock->pthread);
}

static inline void rwlock_write_unlock(struct rwlock *lock) RELEASE(*lock) NO_LOCK_CHECK;
static inline void rwlock_write_unlock(struct rwlock *lock)
{
    (void)pthread_rwlock_unlock(&lock->pthread);
}
