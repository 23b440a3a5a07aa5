cdef extern from *:
    """
    #if defined(__GNUC__) || defined(__clang__)
    #define IAMT_PREFETCH(address) __builtin_prefetch(address)
    #else
    #define IAMT_PREFETCH(address) ((void)(address))
    #endif
    """
    # Ask for the cache line of an address that will be read soon. Any address may be given.
    void prefetch "IAMT_PREFETCH" (const void* address) noexcept nogil
