internal import CCrypto

/// A cipher of OpenSSH's key files: all that `ssh-keygen -Z` has.
struct KeyFileCipher {
    static let tagLength = 16

    private enum Method {
        /// libcrypto's name.
        case libcrypto(StaticString)
        case chaChaPoly
    }

    private let method: Method
    /// Bytes, as are those that follow.
    let keyLength: Int
    let ivLength: Int
    /// What is encrypted has whole blocks.
    let block: Int
    let hasTag: Bool

    private init(_ method: Method, key: Int, iv: Int, block: Int = 16, hasTag: Bool = false) {
        (self.method, keyLength, ivLength, self.block, self.hasTag) = (method, key, iv, block, hasTag)
    }

    /// nil: not one of them.
    init?(_ name: String) {
        switch name {
        case "aes256-ctr": self.init(.libcrypto("AES-256-CTR"), key: 32, iv: 16)
        case "aes192-ctr": self.init(.libcrypto("AES-192-CTR"), key: 24, iv: 16)
        case "aes128-ctr": self.init(.libcrypto("AES-128-CTR"), key: 16, iv: 16)
        case "aes256-cbc": self.init(.libcrypto("AES-256-CBC"), key: 32, iv: 16)
        case "aes192-cbc": self.init(.libcrypto("AES-192-CBC"), key: 24, iv: 16)
        case "aes128-cbc": self.init(.libcrypto("AES-128-CBC"), key: 16, iv: 16)
        case "aes256-gcm@openssh.com": self.init(.libcrypto("AES-256-GCM"), key: 32, iv: 12, hasTag: true)
        case "aes128-gcm@openssh.com": self.init(.libcrypto("AES-128-GCM"), key: 16, iv: 12, hasTag: true)
        case "chacha20-poly1305@openssh.com": self.init(.chaChaPoly, key: 64, iv: 0, block: 8, hasTag: true)
        case "3des-cbc": self.init(.libcrypto("DES-EDE3-CBC"), key: 24, iv: 8, block: 8)
        default: return nil
        }
    }

    /// - Parameter keys: cipher key, then initial vector.
    /// - Returns: nil when the tag says that the key is another.
    func open(_ section: UnsafeRawBufferPointer, tag: UnsafeRawBufferPointer, keys: Secret) -> Secret? {
        struct WrongTag: Error {}
        precondition(keys.count == keyLength + ivLength, "a key for this cipher")
        precondition(!hasTag || tag.count == Self.tagLength, "a tag of its length")
        return try? unsafe Secret(capacity: section.count) { memory throws(WrongTag) in
            let done = unsafe keys.withBytes { keys in
                unsafe decrypt(section, tag.baseAddress, keys.baseAddress!, to: memory.baseAddress!)
            }
            guard done == 1 else { throw WrongTag() }
            return section.count
        }
    }

    private func decrypt(
        _ section: UnsafeRawBufferPointer, _ tag: UnsafeRawPointer?, _ key: UnsafeRawPointer,
        to memory: UnsafeMutableRawPointer
    ) -> CInt {
        switch method {
        case .libcrypto(let name):
            name.withUTF8Buffer { name in
                unsafe name.withMemoryRebound(to: CChar.self) { name in
                    unsafe culvert_key_decrypt(
                        name.baseAddress, key, key + keyLength, section.baseAddress, section.count,
                        hasTag ? tag : nil, memory)
                }
            }
        case .chaChaPoly:
            unsafe culvert_key_decrypt_chachapoly(key, section.baseAddress, section.count, tag, memory)
        }
    }
}
