internal import FoundationEssentials

/// Documents as JSON, names with underscores, always in the same order.
enum JSON {
    static func bytes(of document: some Encodable, pretty: Bool = false) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
        // A number without a value has no place in JSON, and no document has one.
        guard let data = try? encoder.encode(document) else { preconditionFailure("every document can be written") }
        return Array(data) + [UInt8(ascii: "\n")]
    }

    /// nil: it is no such document.
    static func document<Document: Decodable>(_ type: Document.Type, from bytes: [UInt8]) -> Document? {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try? decoder.decode(type, from: Data(bytes))
    }
}
