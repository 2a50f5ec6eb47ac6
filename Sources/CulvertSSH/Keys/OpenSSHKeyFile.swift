internal import CCrypto

/// A private key file in OpenSSH's own format (PROTOCOL.key): base64 between two lines; in it the public key, and a
/// section with the private one that may be encrypted with a key made of the passphrase.
enum OpenSSHKeyFile {
    private static let begin: StaticString = "-----BEGIN OPENSSH PRIVATE KEY-----"
    private static let end: StaticString = "-----END OPENSSH PRIVATE KEY-----"
    private static let magic: StaticString = "openssh-key-v1\0"
    /// Of the private section when nothing encrypts it, bytes.
    private static let plainBlock = 8

    /// What stands between the first and the last line; nil when the text has no such first line.
    static func body(of text: UnsafeRawBufferPointer) throws(PrivateKeyFailure) -> UnsafeRawBufferPointer? {
        guard let first = unsafe line(begin, in: text, from: 0) else { return nil }
        guard let last = unsafe line(end, in: text, from: first.upperBound) else {
            throw .malformed("it has no END line")
        }
        return unsafe UnsafeRawBufferPointer(rebasing: text[first.upperBound..<last.lowerBound])
    }

    /// Where the first line that begins so stands.
    private static func line(_ words: StaticString, in text: UnsafeRawBufferPointer, from start: Int) -> Range<Int>? {
        let length = words.utf8CodeUnitCount
        var place = start
        while place + length <= text.count {
            let candidate = unsafe text[place..<place + length]
            if words.withUTF8Buffer({ unsafe candidate.elementsEqual($0) }) { return place..<place + length }
            guard let lineEnd = unsafe text[place...].firstIndex(of: UInt8(ascii: "\n")) else { return nil }
            place = lineEnd + 1
        }
        return nil
    }

    /// - Returns: a key that the caller owns.
    static func read(_ body: UnsafeRawBufferPointer, passphrase: Secret?) throws(PrivateKeyFailure) -> OpaquePointer {
        unsafe try read(body, passphrase: passphrase) { section, failure throws(PrivateKeyFailure) in
            unsafe try section.key(orElse: failure)
        }
    }

    /// `take`: what becomes of the private section, and what it means when its two numbers differ.
    static func read<Value>(
        _ body: UnsafeRawBufferPointer, passphrase: Secret?,
        _ take: (PrivateSection, PrivateKeyFailure) throws(PrivateKeyFailure) -> Value
    ) throws(PrivateKeyFailure) -> Value {
        let binary = unsafe try decoded(body)
        return try unsafe binary.withBytes { bytes throws(PrivateKeyFailure) in
            let file: Fields
            do throws(SSHError) {
                file = unsafe try Fields(bytes)
            } catch {
                throw .malformed("it is not laid out as openssh-key-v1")
            }
            return try section(in: file, passphrase, take)
        }
    }

    /// The parts of the file, where they lie.
    @safe private struct Fields {
        let cipher: String
        let derivation: String
        let derivationOptions: UnsafeRawBufferPointer
        let publicKey: UnsafeRawBufferPointer
        let section: UnsafeRawBufferPointer
        /// What an AEAD has put behind the section.
        let tag: UnsafeRawBufferPointer

        init(_ bytes: UnsafeRawBufferPointer) throws(SSHError) {
            guard let start = bytes.baseAddress else { throw .malformed("a key file", "it is empty") }
            var source = unsafe WireReader(start: start, count: bytes.count, of: "a key file")
            for index in 0..<magic.utf8CodeUnitCount {
                let expected = unsafe magic.utf8Start[index]
                guard try source.byte() == expected else { throw .malformed("a key file", "its magic is another") }
            }
            cipher = unsafe String(decoding: try source.string().prefix(64), as: UTF8.self)
            derivation = unsafe String(decoding: try source.string().prefix(64), as: UTF8.self)
            unsafe derivationOptions = try source.string()
            guard try source.uint32() == 1 else { throw .malformed("a key file", "it has not one key") }
            unsafe publicKey = try source.string()
            unsafe section = try source.string()
            unsafe tag = UnsafeRawBufferPointer(rebasing: bytes.suffix(source.remaining))
        }
    }

    private static func section<Value>(
        in file: Fields, _ passphrase: Secret?,
        _ take: (PrivateSection, PrivateKeyFailure) throws(PrivateKeyFailure) -> Value
    ) throws(PrivateKeyFailure) -> Value {
        if file.cipher == "none" {
            guard file.derivation == "none", unsafe file.tag.isEmpty, unsafe file.section.count % plainBlock == 0 else {
                throw .malformed("it is not laid out as openssh-key-v1")
            }
            let section = unsafe PrivateSection(file.section, block: plainBlock, publicKey: file.publicKey)
            return try take(section, .malformed("its two check numbers differ"))
        }
        guard let cipher = KeyFileCipher(file.cipher) else {
            throw .unsupported("encrypted with \(PeerText(file.cipher)), which is not known here")
        }
        guard file.derivation == "bcrypt" else {
            throw .unsupported("its passphrase goes through \(PeerText(file.derivation)), which is not known here")
        }
        let (salt, rounds) = try unsafe bcryptOptions(file.derivationOptions)
        guard unsafe file.section.count % cipher.block == 0, unsafe !file.section.isEmpty,
            unsafe file.tag.count == (cipher.hasTag ? KeyFileCipher.tagLength : 0)
        else { throw .malformed("its encrypted part has an impossible length") }
        guard let passphrase else { throw .needsPassphrase }
        guard passphrase.count > 0 else { throw .wrongPassphrase }
        let keys = unsafe passphrase.withBytes { phrase in
            unsafe BcryptPBKDF.derive(
                passphrase: phrase, salt: salt, rounds: rounds, length: cipher.keyLength + cipher.ivLength)
        }
        guard let opened = unsafe cipher.open(file.section, tag: file.tag, keys: keys) else { throw .wrongPassphrase }
        return try unsafe opened.withBytes { section throws(PrivateKeyFailure) in
            let section = unsafe PrivateSection(section, block: cipher.block, publicKey: file.publicKey)
            return try take(section, .wrongPassphrase)
        }
    }

    private static func bcryptOptions(_ options: UnsafeRawBufferPointer) throws(PrivateKeyFailure)
        -> (UnsafeRawBufferPointer, Int)
    {
        let salt: UnsafeRawBufferPointer
        let rounds: UInt32
        do throws(SSHError) {
            guard let start = options.baseAddress else { throw .malformed("a key file", "it has no options") }
            var reader = unsafe WireReader(start: start, count: options.count, of: "a key file")
            unsafe salt = try reader.string()
            rounds = try reader.uint32()
            try reader.end()
            guard unsafe !salt.isEmpty, rounds > 0 else { throw .malformed("a key file", "it has no salt") }
        } catch {
            throw .malformed("its options for bcrypt are none")
        }
        guard rounds <= BcryptPBKDF.maximumRounds else {
            throw .unsupported(
                "its passphrase goes through \(rounds) rounds of bcrypt, "
                    + "\(BcryptPBKDF.maximumRounds) are the limit: `ssh-keygen -p -a 100 -f FILE` changes it")
        }
        return unsafe (salt, Int(rounds))
    }

    /// RFC 4648 §4; line breaks and blanks are passed over, padding stands at the end alone.
    private static func decoded(_ text: UnsafeRawBufferPointer) throws(PrivateKeyFailure) -> Secret {
        try unsafe Secret(capacity: text.count / 4 * 3 + 3) { memory throws(PrivateKeyFailure) in
            var decoder = Base64.Decoder()
            var count = 0
            for index in text.indices {
                let character = unsafe text[index]
                switch character {
                case UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: " "), UInt8(ascii: "\t"): continue
                default: break
                }
                let wasPadded = decoder.isPadded
                switch decoder.take(character) {
                case .nothing: break
                case .byte(let byte):
                    unsafe memory[count] = byte
                    count += 1
                case .refused:
                    throw .malformed(wasPadded ? "its base64 goes on after its end" : "its base64 does not decode")
                }
            }
            guard decoder.isWhole else { throw .malformed("its base64 is cut short") }
            return count
        }
    }
}
