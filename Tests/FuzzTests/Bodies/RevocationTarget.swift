import CulvertSSH

@testable import CulvertIdentity

extension FuzzTarget {
    private static let revocationHeader =
        Array("SSHKRL\n\0".utf8) + Wire.uint32(1) + [UInt8](repeating: 0, count: 24) + Wire.string("")
        + Wire.string("a comment")

    private static func section(_ type: UInt8, _ body: [UInt8]) -> [UInt8] { [type] + Wire.string(body) }

    private static func certificates(_ parts: [UInt8]) -> [UInt8] {
        section(1, Wire.string(FuzzKeys.ed25519Blob) + Wire.string("") + parts)
    }

    private static func number(_ value: UInt8) -> [UInt8] { [UInt8](repeating: 0, count: 7) + [value] }

    /// Key revocation lists (PROTOCOL.krl), read for a key and for nothing else.
    static let revocations = FuzzTarget(
        "Revocations", maximumLength: 1500,
        seeds: {
            [
                revocationHeader, revocationHeader + section(2, Wire.string(FuzzKeys.ed25519Blob)),
                revocationHeader + section(3, Wire.string([UInt8](repeating: 1, count: 20))),
                revocationHeader + section(5, Wire.string([UInt8](repeating: 1, count: 32))),
                revocationHeader + section(255, Wire.string("x@y") + [0] + Wire.string("z")),
                revocationHeader + certificates(section(0x20, number(1) + number(9))),
                revocationHeader + certificates(section(0x21, number(1) + number(9))),
                revocationHeader + certificates(section(0x22, number(1) + Wire.string([0x55, 0xaa]))),
                revocationHeader + certificates(section(0x23, Wire.string("id"))),
                revocationHeader + certificates(section(0x39, Wire.string("x@y") + [1] + Wire.string("z"))),
                revocationHeader + [4] + Wire.string(FuzzKeys.ed25519Blob) + Wire.string("a signature"),
            ]
        }
    ) { bytes in
        guard let key = PublicKey(blob: FuzzKeys.ed25519Blob) else { fatalError("a fixed key is one") }
        do throws(KeyRevocationList.Malformed) {
            _ = try KeyRevocationList.revokes(key, bytes)
            promise(KeyRevocationList.isOne(bytes), "what is read begins as one")
        } catch {
            promise(isOneSafeLine(error.why), "an error is one line")
        }
    }
}
