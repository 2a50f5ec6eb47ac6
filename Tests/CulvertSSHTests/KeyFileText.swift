import Foundation

@testable import CulvertSSH

enum Base64Text {
    static func of(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }
}

/// OpenSSH's key files written by hand, right or wrong.
enum KeyFileText {
    static func armoured(_ binary: [UInt8]) -> [UInt8] {
        let text = Data(binary).base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
        return Array("-----BEGIN OPENSSH PRIVATE KEY-----\n\(text)\n-----END OPENSSH PRIVATE KEY-----\n".utf8)
    }

    /// The bytes between the lines.
    static func binary(_ file: [UInt8]) -> [UInt8] {
        let lines = String(decoding: file, as: UTF8.self).split(separator: "\n").filter { !$0.hasPrefix("-----") }
        return [UInt8](Data(base64Encoded: lines.joined()) ?? Data())
    }

    static func openSSH(
        cipher: String = "none", derivation: String = "none", options: [UInt8] = [], count: Int = 1,
        publicKey: [UInt8] = [], section: [UInt8], after: [UInt8] = []
    ) -> [UInt8] {
        armoured(
            Array("openssh-key-v1\0".utf8) + Script.string(cipher) + Script.string(derivation) + Script.string(options)
                + Script.u32(count) + Script.string(publicKey) + Script.string(section) + after)
    }

    static func padded(_ section: [UInt8], block: Int = 8) -> [UInt8] {
        let missing = (block - section.count % block) % block
        return section + (0..<missing).map { UInt8($0 + 1) }
    }
}
