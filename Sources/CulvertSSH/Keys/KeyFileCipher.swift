internal import CCrypto

/// A cipher of OpenSSH's key files (`ssh-keygen -Z`): AES in the three modes that OpenSSH writes.
struct KeyFileCipher {
    /// Of every one, bytes.
    static let block = 16
    static let tagLength = 16

    /// libcrypto's name.
    private let method: StaticString
    let keyLength: Int
    let ivLength: Int
    let hasTag: Bool

    /// nil: not one of them.
    init?(_ name: String) {
        switch name {
        case "aes256-ctr": (method, keyLength, ivLength, hasTag) = ("AES-256-CTR", 32, 16, false)
        case "aes192-ctr": (method, keyLength, ivLength, hasTag) = ("AES-192-CTR", 24, 16, false)
        case "aes128-ctr": (method, keyLength, ivLength, hasTag) = ("AES-128-CTR", 16, 16, false)
        case "aes256-cbc": (method, keyLength, ivLength, hasTag) = ("AES-256-CBC", 32, 16, false)
        case "aes192-cbc": (method, keyLength, ivLength, hasTag) = ("AES-192-CBC", 24, 16, false)
        case "aes128-cbc": (method, keyLength, ivLength, hasTag) = ("AES-128-CBC", 16, 16, false)
        case "aes256-gcm@openssh.com": (method, keyLength, ivLength, hasTag) = ("AES-256-GCM", 32, 12, true)
        case "aes128-gcm@openssh.com": (method, keyLength, ivLength, hasTag) = ("AES-128-GCM", 16, 12, true)
        default: return nil
        }
    }

    /// - Parameter keys: cipher key, then initial vector.
    /// - Returns: nil when the tag says that the key is another.
    func open(_ section: UnsafeRawBufferPointer, tag: UnsafeRawBufferPointer, keys: Secret) -> Secret? {
        struct WrongTag: Error {}
        precondition(keys.count == keyLength + ivLength, "a key for this cipher")
        return try? unsafe Secret(capacity: section.count) { memory throws(WrongTag) in
            let done = unsafe keys.withBytes { keys in
                method.withUTF8Buffer { name in
                    unsafe name.withMemoryRebound(to: CChar.self) { name in
                        unsafe culvert_key_decrypt(
                            name.baseAddress, keys.baseAddress, keys.baseAddress! + keyLength, section.baseAddress,
                            section.count, hasTag ? tag.baseAddress : nil, memory.baseAddress)
                    }
                }
            }
            guard done == 1 else { throw WrongTag() }
            return section.count
        }
    }
}
