cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>
    #if defined(__linux__)
    #include <sys/mman.h>
    #endif
    static inline void iamt_large_pages(const void *start, size_t size) {
    #if defined(MADV_HUGEPAGE)
        uintptr_t page = 4096, first = ((uintptr_t)start + page - 1) & ~(page - 1);
        uintptr_t stop = ((uintptr_t)start + size) & ~(page - 1);
        if (size >= (size_t)4 << 20 && first < stop)
            (void)madvise((void *)first, stop - first, MADV_HUGEPAGE);
    #else
        (void)start; (void)size;
    #endif
    }
    """
    # Ask for large pages behind new memory that will be read at random, where it is worth it (from
    # 4 MiB on): each small page costs a look-up of its own. A wish, which the system may refuse.
    void large_pages "iamt_large_pages" (const void* start, size_t size) noexcept nogil
