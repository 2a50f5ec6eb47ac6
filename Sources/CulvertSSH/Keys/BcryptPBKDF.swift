internal import Crypto
internal import Glibc

/// The key derivation of OpenSSH's key files (PROTOCOL.key; bcrypt_pbkdf of OpenBSD): PBKDF2 (RFC 8018 §5.2) over a
/// bcrypt of SHA-512 hashes, with the output of its blocks interleaved.
enum BcryptPBKDF {
    /// `ssh-keygen` takes 16 to 24 rounds, and people at most some thousands. These are minutes of work, in which nothing can
    /// stop it: more than a server waits for a login (LoginGraceTime).
    static let maximumRounds = 65536

    private static let blockLength = 32
    private static let magic: StaticString = "OxychromaticBlowfishSwatDynamite"

    /// - Parameter length: of the key, bytes; at most 1024.
    /// - Precondition: neither passphrase nor salt is empty, rounds are 1 to `maximumRounds`.
    static func derive(
        passphrase: UnsafeRawBufferPointer, salt: UnsafeRawBufferPointer, rounds: Int, length: Int
    ) -> Secret {
        unsafe precondition(!passphrase.isEmpty && !salt.isEmpty, "bcrypt_pbkdf wants a passphrase and a salt")
        precondition((1...maximumRounds).contains(rounds) && (1...1024).contains(length), "the caller has limits")
        let blocks = (length + blockLength - 1) / blockLength
        return unsafe Secret(capacity: length) { key in
            let phrase = words(unsafe SHA512.hash(data: passphrase))
            var cipher = Blowfish()
            // The running hash and the sum of all.
            let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * blockLength, alignment: 8)
            defer {
                unsafe explicit_bzero(scratch.baseAddress!, scratch.count)
                unsafe scratch.deallocate()
            }
            let hash = unsafe UnsafeMutableRawBufferPointer(rebasing: scratch[..<blockLength])
            let sum = unsafe UnsafeMutableRawBufferPointer(rebasing: scratch[blockLength...])
            for block in 0..<blocks {
                var first = SHA512()
                unsafe first.update(bufferPointer: salt)
                unsafe withUnsafeBytes(of: UInt32(block + 1).bigEndian) { unsafe first.update(bufferPointer: $0) }
                unsafe bcrypt(&cipher, phrase, words(first.finalize()), into: hash)
                unsafe sum.copyMemory(from: UnsafeRawBufferPointer(hash))
                for _ in 1..<rounds {
                    unsafe bcrypt(
                        &cipher, phrase, words(SHA512.hash(data: UnsafeRawBufferPointer(hash))), into: hash)
                    for index in 0..<blockLength { unsafe sum[index] ^= hash[index] }
                }
                // Byte i of block b is byte i × blocks + b of the key.
                for index in 0..<blockLength where index * blocks + block < length {
                    unsafe key[index * blocks + block] = sum[index]
                }
            }
            return length
        }
    }

    private static func words(_ digest: SHA512.Digest) -> Blowfish.Words {
        unsafe Blowfish.Words { place in unsafe digest.withUnsafeBytes { unsafe place.copyMemory(from: $0) } }
    }

    /// bcrypt at cost 6 over a text of 32 bytes; the words come out little-endian.
    private static func bcrypt(
        _ cipher: inout Blowfish, _ phrase: borrowing Blowfish.Words, _ salt: borrowing Blowfish.Words,
        into output: UnsafeMutableRawBufferPointer
    ) {
        cipher.reset()
        cipher.expand(key: phrase, salt: salt)
        for _ in 0..<64 {
            cipher.expand(key: salt)
            cipher.expand(key: phrase)
        }
        for place in stride(from: 0, to: blockLength, by: 8) {
            var (left, right) = magic.withUTF8Buffer { text in
                let pair = UnsafeRawBufferPointer(text)
                return unsafe (
                    UInt32(bigEndian: pair.loadUnaligned(fromByteOffset: place, as: UInt32.self)),
                    UInt32(bigEndian: pair.loadUnaligned(fromByteOffset: place + 4, as: UInt32.self))
                )
            }
            for _ in 0..<64 { cipher.encrypt(&left, &right) }
            unsafe output.storeBytes(of: left.littleEndian, toByteOffset: place, as: UInt32.self)
            unsafe output.storeBytes(of: right.littleEndian, toByteOffset: place + 4, as: UInt32.self)
        }
    }
}
