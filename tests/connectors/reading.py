"""What a described dataset holds, read fragment by fragment."""


def rows(dataset, columns=None):
    return [
        row
        for i in range(len(dataset.fragments))
        for b in dataset.source.read(dataset.fragments[i], columns)
        for row in b.to_pylist()
    ]
