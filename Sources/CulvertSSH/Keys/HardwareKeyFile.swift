/// What the file of a hardware key has (OpenSSH's PROTOCOL.u2f): no private key, but the handle by which the device knows
/// its own.
public struct HardwareKeyFile: Sendable {
    public enum Failure: Error, Hashable {
        case wrongPassphrase
        /// Words that follow the file's name.
        case unusable(String)
    }

    /// From the key's type to what is reserved, as OpenSSH's helper takes it.
    public let fields: Secret
    private let flags: UInt8

    /// The device signs only when it is touched.
    public var needsTouch: Bool { flags & 0x01 != 0 }
    /// And only for who knows its PIN, or has the right finger.
    public var needsPIN: Bool { flags & 0x04 != 0 }

    /// Reads the file: OpenSSH's format, encrypted or not.
    public init(_ contents: Secret, passphrase: Secret?) throws(Failure) {
        do throws(PrivateKeyFailure) {
            guard contents.count <= PrivateKey.maximumFileLength else {
                throw .malformed("\(contents.count) bytes are no key")
            }
            (fields, flags) = try unsafe contents.withBytes { text throws(PrivateKeyFailure) in
                guard let body = unsafe try OpenSSHKeyFile.body(of: text) else { throw .malformed("it is no such key") }
                return unsafe try OpenSSHKeyFile.read(body, passphrase: passphrase) {
                    section, failure throws(PrivateKeyFailure) in
                    try section.hardwareKey(orElse: failure)
                }
            }
        } catch .wrongPassphrase {
            throw .wrongPassphrase
        } catch {
            throw .unusable(error.description)
        }
    }
}
