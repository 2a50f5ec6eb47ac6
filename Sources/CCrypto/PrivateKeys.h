// What the two files about private keys share.
#ifndef PRIVATE_KEYS_H
#define PRIVATE_KEYS_H
#include "CCryptoKeys.h"

// Whether the numbers of a key of a known kind are of one key.
int culvert_key_is_whole(const culvert_key *key);

#endif
