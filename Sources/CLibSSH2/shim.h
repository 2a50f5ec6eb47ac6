#include <libssh2.h>
#include <libssh2_publickey.h>
// malloc_usable_size, which Glibc's module leaves out: how long a block is that libssh2 gives back.
#include <malloc.h>
