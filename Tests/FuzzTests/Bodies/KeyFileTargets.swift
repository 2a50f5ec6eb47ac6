@testable import CulvertSSH

private let passphrase: Secret = {
    var words = Array("phrase".utf8)
    return Secret(wiping: &words)
}()

/// Reads a private key; one that is read can sign.
private func read(_ contents: [UInt8], _ passphrase: Secret?) {
    let secret = withMemory(of: contents) { Secret(copying: UnsafeRawBufferPointer($0)) }
    do throws(PrivateKeyFailure) {
        let key = try PrivateKey(secret, passphrase: passphrase)
        promise(identityKnows(key.publicKey, type: key.type), "a key's public half is one")
        for algorithm in SignatureAlgorithm.names(keyType: key.type) {
            let signature = withMemory(of: [1, 2, 3]) { memory in
                try? key.sign(UnsafeRawBufferPointer(memory), algorithm: algorithm)
            }
            promise(signature?.starts(with: Wire.string(algorithm)) == true, "a key signs")
        }
    } catch {
        promise(isOneSafeLine(error.description), "a mistake is told in a line")
    }
}

/// A key file's text around its content.
func armoured(_ title: String, _ bytes: [UInt8], header: String = "") -> [UInt8] {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var text = Array("-----BEGIN \(title)-----\n\(header)".utf8)
    var characters: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
        let group = bytes[start..<min(start + 3, bytes.count)]
        let value = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
        characters += (0..<4).map { $0 <= group.count ? alphabet[value >> (18 - 6 * $0) & 63] : UInt8(ascii: "=") }
    }
    for start in stride(from: 0, to: characters.count, by: 64) {
        text += characters[start..<min(start + 64, characters.count)] + [10]
    }
    return text + Array("-----END \(title)-----\n".utf8)
}

extension FuzzTarget {
    /// Key files as text: OpenSSH's format and PEM. The passphrase is tried where a hostile file cannot make it costly.
    static let keyText = FuzzTarget(
        "KeyText", maximumLength: 3000,
        seeds: {
            [
                armoured("OPENSSH PRIVATE KEY", KeyFileSeeds.openSSH), armoured("PRIVATE KEY", KeyFileSeeds.pkcs8),
                Array("PuTTY-User-Key-File-3: x\n".utf8),
                Array("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA comment\n".utf8),
            ]
        }
    ) { bytes in
        lookAtKeyFile(bytes)
        read(bytes, nil)
        let text = String(decoding: bytes, as: UTF8.self)
        if !text.contains("ENCRYPTED PRIVATE KEY") && !text.contains("OPENSSH PRIVATE KEY") { read(bytes, passphrase) }
    }

    /// Key files whose base64 is right and whose content is the input's. First byte: which format.
    static let keyBlob = FuzzTarget(
        "KeyBlob", maximumLength: 2500,
        seeds: {
            let section = KeyFileSeeds.section
            return [
                [0] + KeyFileSeeds.openSSH, [1, 0, 51] + KeyFileSeeds.publicKey + section,
                [2, 1, 16] + [UInt8](repeating: 7, count: 16) + section, [3] + KeyFileSeeds.pkcs8,
                [6] + KeyFileSeeds.encryptedPKCS8, [7] + section,
            ]
        }
    ) { bytes in
        var input = FuzzInput(bytes)
        switch input.byte() % 8 {
        case 0:
            let file = armoured("OPENSSH PRIVATE KEY", input.rest())
            lookAtKeyFile(file)
            read(file, nil)
        case 1:
            // A plain file; the lengths around the two parts are right.
            let publicKey = input.take(input.uint16())
            read(armoured("OPENSSH PRIVATE KEY", KeyFileSeeds.file("none", "none", [], publicKey, input.rest())), nil)
        case 2:
            // An encrypted one. One round: 2 ms.
            let ciphers = [
                "aes256-ctr", "aes256-cbc", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "3des-cbc",
            ]
            let cipher = ciphers[Int(input.byte()) % ciphers.count]
            let options = Wire.string(input.take(Int(input.byte()) + 1)) + Wire.uint32(1)
            let tag = cipher.hasSuffix(".com") ? [UInt8](repeating: 0, count: 16) : []
            let file = KeyFileSeeds.file(cipher, "bcrypt", options, KeyFileSeeds.publicKey, input.rest())
            read(armoured("OPENSSH PRIVATE KEY", file + tag), passphrase)
        case 3: read(armoured("PRIVATE KEY", input.rest()), nil)
        case 4: read(armoured("RSA PRIVATE KEY", input.rest()), nil)
        case 5: read(armoured("EC PRIVATE KEY", input.rest()), nil)
        case 6:
            let der = input.rest()
            // An INTEGER of more than two bytes may be a count of rounds that takes seconds, and is allowed to.
            let isQuick = !zip(der, der.dropFirst()).contains { $0 == 2 && $1 > 2 }
            read(armoured("ENCRYPTED PRIVATE KEY", der), isQuick ? passphrase : nil)
        default:
            let header = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n"
            read(armoured("RSA PRIVATE KEY", input.rest(), header: header), passphrase)
        }
    }
}

/// Throw-away keys, made of the fixed Ed25519 key.
enum KeyFileSeeds {
    static let publicKey = FuzzKeys.ed25519Blob

    private static let halves = (
        Array(FuzzKeys.ed25519.rawRepresentation), Array(FuzzKeys.ed25519.publicKey.rawRepresentation)
    )

    /// The private section (PROTOCOL.key), padded to 8 bytes.
    static let section: [UInt8] = {
        let check = Wire.uint32(0x0102_0304)
        var section =
            check + check + Wire.string("ssh-ed25519") + Wire.string(halves.1) + Wire.string(halves.0 + halves.1)
            + Wire.string("seed")
        var padding: UInt8 = 0
        while section.count % 8 != 0 {
            padding += 1
            section.append(padding)
        }
        return section
    }()

    static func file(
        _ cipher: String, _ derivation: String, _ options: [UInt8], _ publicKey: [UInt8], _ section: [UInt8]
    ) -> [UInt8] {
        Array("openssh-key-v1\0".utf8) + Wire.string(cipher) + Wire.string(derivation) + Wire.string(options)
            + Wire.uint32(1) + Wire.string(publicKey) + Wire.string(section)
    }

    static let openSSH = file("none", "none", [], publicKey, section)

    /// RFC 8410 §7.
    static let pkcs8: [UInt8] =
        [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20] + halves.0

    /// RFC 8018: PBES2 with PBKDF2 (HMAC-SHA-256, 100 rounds) and AES-256-CBC; what is sealed is noise.
    static let encryptedPKCS8: [UInt8] = {
        func der(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] { [tag, UInt8(content.count)] + content }
        let oid: (_ bytes: [UInt8]) -> [UInt8] = { der(6, $0) }
        let hash = der(0x30, oid([0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 9]) + [5, 0])
        let derivation = der(
            0x30,
            oid([0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 12])
                + der(0x30, der(4, [UInt8](repeating: 9, count: 8)) + [2, 1, 100] + hash))
        let cipher = der(
            0x30, oid([0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 42]) + der(4, [UInt8](repeating: 8, count: 16)))
        let scheme = der(
            0x30, oid([0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 13]) + der(0x30, derivation + cipher))
        return [0x30, 0x81, UInt8(scheme.count + 34)] + scheme + der(4, [UInt8](repeating: 7, count: 32))
    }()
}
