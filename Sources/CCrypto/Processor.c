#include "CCrypto.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
// From asm/hwcap.h: AES and the carry-less product that GCM needs.
enum { CAPABLE_OF_AES = 1 << 3, CAPABLE_OF_PMULL = 1 << 4 };
#endif

int culvert_crypto_has_aes_instructions(void) {
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__) && defined(__linux__)
    unsigned long both = CAPABLE_OF_AES | CAPABLE_OF_PMULL;
    return (getauxval(AT_HWCAP) & both) == both;
#else
    return 0;
#endif
}
