/// What a login has signed (RFC 4252 §7).
public enum LoginData {
    /// The method whose requests name the server's host key behind the user's (OpenSSH's PROTOCOL §3.1).
    static let hostBound: StaticString = "publickey-hostbound-v00@openssh.com"

    /// The algorithm that it names: session id, 50, user, service, method, TRUE, algorithm, key, and a host key where the
    /// method has one. nil: this is no login's data for that key, and nothing else is ever signed.
    public static func algorithm(in data: [UInt8], key: [UInt8]) -> String? {
        try? data.read("a login's data") { reader throws(SSHError) in
            _ = unsafe try reader.string()
            let number = try reader.byte()
            _ = unsafe try reader.string()
            _ = unsafe try reader.string()
            let method = try reader.name()
            let isSigned = try reader.byte()
            let algorithm = try reader.name()
            let isOfKey = unsafe try reader.string().elementsEqual(key)
            let isBound = method == "\(hostBound)"
            if isBound { _ = unsafe try reader.string() }
            try reader.end()
            guard number == 50, isBound || method == "publickey", isSigned == 1, isOfKey else {
                throw .malformed("a login's data", "it is something else")
            }
            return algorithm
        }
    }
}

/// A key file that gives no key; `description` is the reason for `LoginAuthority.refused`.
public struct UnusableKeyFile: Error, CustomStringConvertible {
    public let description: String

    static let otherKey = UnusableKeyFile(description: "the certificate is of another key")
}

extension Credential {
    /// The same, with a key file opened: whoever is given it can have a login's data signed, as the data asks for it, and
    /// never sees the key.
    public func opened() throws(UnusableKeyFile) -> Credential {
        guard case .keyFile(let name, let contents, let passphrase, let certificate) = self else { return self }
        let key: PrivateKey
        do throws(PrivateKeyFailure) {
            key = try PrivateKey(contents, passphrase: passphrase)
        } catch {
            throw UnusableKeyFile(description: error.description)
        }
        guard certificate.map({ $0.plainKey == key.publicKey }) ?? true else { throw .otherKey }
        let (shown, type) = (certificate?.blob ?? key.publicKey, certificate?.type ?? key.type)
        return unsafe .signer(name: name, publicKey: shown) { data throws(SSHError) in
            guard let algorithm = LoginData.algorithm(in: unsafe Array(data), key: shown),
                algorithm == type || SignatureAlgorithm.names(keyType: type).contains(algorithm)
            else { throw SSHError(.local, "\(name): asked to sign what is not a login's data (RFC 4252 §7)") }
            return try unsafe key.sign(data, algorithm: SignatureAlgorithm.signatureName(algorithm))
        }
    }
}
