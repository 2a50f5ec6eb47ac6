internal import CulvertSSH

extension KnownHosts {
    /// A name that would be a pattern, or more than one, in a file.
    struct NotAName: Error {}

    /// The line that says that this is a host's key, without its end.
    static func line(for key: PublicKey, name: String, hashed: Bool) throws(NotAName) -> String {
        let written = "\(key.type) \(Base64.encode(key.blob))"
        if hashed {
            // sshd(8): the salt is as long as the hash.
            let salt = (0..<20).map { _ in UInt8.random(in: .min ... .max) }
            return "\(HostList.hashing(name, salt: salt).text) \(written)"
        }
        // A name that has a meaning of its own in the file would say more than this host may.
        let special = Array(",*?!|#@".utf8)
        guard !name.isEmpty, name.utf8.allSatisfy({ $0 > 32 && $0 != 127 && !special.contains($0) }) else {
            throw NotAName()
        }
        return "\(name) \(written)"
    }

    /// The contents of a file with a host's keys brought up to date: lines of this name whose keys are not among `keys` go,
    /// and each of `adding` that no line of it has is added. Lines with a marker, of other names, and those that cannot be read
    /// stay as they are, byte by byte. nil: there is nothing to change.
    static func updated(
        _ contents: [UInt8], name: String, keys: [PublicKey], adding: [PublicKey], hashed: Bool
    ) throws(NotAName) -> [UInt8]? {
        let interest = LineInterest.hosts([name])
        var result: [UInt8] = []
        result.reserveCapacity(contents.count + 1024)
        var present: Set<PublicKey> = []
        var isChanged = false
        var rest = contents[...]
        while !rest.isEmpty {
            let end = rest.firstIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? rest.endIndex
            let line = rest[..<end]
            rest = rest[end...]
            if let entry = entry(of: line, interest) {
                guard keys.contains(entry.key) else {
                    isChanged = true
                    continue
                }
                present.insert(entry.key)
            }
            result += line
        }
        for key in adding where !present.contains(key) {
            if let last = result.last, last != UInt8(ascii: "\n") { result.append(UInt8(ascii: "\n")) }
            result += Array(try self.line(for: key, name: name, hashed: hashed).utf8)
            result.append(UInt8(ascii: "\n"))
            isChanged = true
        }
        return isChanged ? result : nil
    }

    /// What a line says of the key of one of the names; nil: nothing.
    private static func entry(of line: ArraySlice<UInt8>, _ interest: LineInterest) -> Entry? {
        let text = line.prefix { $0 != UInt8(ascii: "\n") }
        let bytes = Array(text.last == UInt8(ascii: "\r") ? text.dropLast() : text)
        guard unsafe bytes.withUnsafeBytes({ unsafe interest.mayMatter($0) }) else { return nil }
        var read = KnownHosts(interest)
        read.add(line: bytes[...], place: Place(file: "", line: 0))
        return read.entries.first { $0.marker == .none }
    }
}
