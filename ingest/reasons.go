package ingest

import (
	"strconv"
	"strings"
	"time"

	"github.com/acervo-kb/acervo/ingest/parse"
)

// A sentence says what, why and what to do, in the languages users are spoken to in.
type sentence struct{ en, es string }

// whole are the sentences for documents that cannot be read at all.
var whole = map[parse.Code]sentence{
	parse.Encrypted: {
		"The file is locked with a password. Save a copy without the password in the folder.",
		"El archivo está protegido con contraseña. Guarda en la carpeta una copia sin contraseña.",
	},
	parse.Corrupt: {
		"The file is damaged or is not what its name says. Open it in its own program and save it again, or replace it with a good copy.",
		"El archivo está dañado o no es lo que dice su nombre. Ábrelo con su programa y vuelve a guardarlo, o cámbialo por una copia sana.",
	},
	parse.Empty: {
		"The file holds no text. Nothing needs to be done if it is meant to be empty.",
		"El archivo no contiene texto. Si debe estar vacío, no hay nada que hacer.",
	},
	parse.Unsupported: {
		"This kind of file is not read. Save it as PDF, DOCX, HTML, Markdown or plain text.",
		"Este tipo de archivo no se lee. Guárdalo como PDF, DOCX, HTML, Markdown o texto.",
	},
	parse.TooLarge: {
		"The file is too large to read. Split it into smaller ones.",
		"El archivo es demasiado grande para leerlo. Divídelo en otros más pequeños.",
	},
	parse.Bomb: {
		"The file unpacks to far more than its size, as files made to do harm do; it was not opened. Save a plain copy if you trust it.",
		"El archivo ocupa, al descomprimirse, muchísimo más que su tamaño, como los hechos para dañar; no se ha abierto. Si te fías de él, guarda una copia normal.",
	},
	parse.Timeout: {
		"Reading the file took too long and was stopped. Save it again or split it; `acervo retry` tries once more.",
		"Leer el archivo llevaba demasiado tiempo y se detuvo. Vuelve a guardarlo o divídelo; `acervo retry` lo intenta de nuevo.",
	},
	parse.Crashed: {
		"The file made its reader break down; it is left aside so that the rest goes on. Save it again in another format; `acervo retry` tries once more.",
		"El archivo hizo fallar a su lector; se ha apartado para que lo demás siga. Guárdalo en otro formato; `acervo retry` lo intenta de nuevo.",
	},
	parse.NeedsOCR: {
		"The pages are images without text. They can be found once text recognition (OCR) is set up, or as a PDF with a text layer.",
		"Las páginas son imágenes sin texto. Se podrán encontrar cuando haya reconocimiento de texto (OCR), o como PDF con capa de texto.",
	},
	parse.EngineMissing: {
		"A program that this kind of file needs is missing. `acervo doctor` says which one and how to install it.",
		"Falta un programa que este tipo de archivo necesita. `acervo doctor` dice cuál es y cómo instalarlo.",
	},
	parse.NotReadable: {
		"The file cannot be opened. Check its permissions and that no other program holds it; it is tried again by itself.",
		"No se puede abrir el archivo. Comprueba sus permisos y que ningún otro programa lo retenga; se volverá a intentar solo.",
	},
}

// partly are the sentences for documents of which some pages are missing; %p stands for them.
var partly = map[parse.Code]sentence{
	parse.NeedsOCR: {
		"These pages are images without text: %p. They can be found once text recognition (OCR) is set up; the rest is searchable.",
		"Estas páginas son imágenes sin texto: %p. Se podrán encontrar cuando haya reconocimiento de texto (OCR); el resto ya se puede buscar.",
	},
	parse.Corrupt: {
		"These pages could not be read: %p. The rest is searchable; a good copy of the file would mend it.",
		"Estas páginas no se han podido leer: %p. El resto ya se puede buscar; una copia sana del archivo lo arreglaría.",
	},
}

// In returns what is wrong, and what to do, in a language: es, or else English.
func (p Problem) In(lang string) string {
	s, ok := partly[p.Code]
	if !ok || len(p.Pages) == 0 {
		s = whole[p.Code]
	}
	text := s.en
	if lang == "es" {
		text = s.es
	}
	return strings.ReplaceAll(text, "%p", pageList(p.Pages))
}

// pageList writes pages as "1, 3-5". What is long is cut.
func pageList(pages []int) string {
	var parts []string
	for i := 0; i < len(pages); {
		j := i
		for j+1 < len(pages) && pages[j+1] == pages[j]+1 {
			j++
		}
		part := strconv.Itoa(pages[i])
		if j > i {
			part += "-" + strconv.Itoa(pages[j])
		}
		if parts = append(parts, part); len(parts) == 20 && j+1 < len(pages) {
			return strings.Join(parts, ", ") + "…"
		}
		i = j + 1
	}
	return strings.Join(parts, ", ")
}

func newProblem(code parse.Code, detail string, pages ...int) *Problem {
	p := &Problem{Code: code, Detail: detail, Pages: pages}
	p.Message = p.In("en")
	return p
}

// retried sets when a lack of the machine is tried again, later each time. What
// is wrong with a file is not tried again before it changes or the user asks.
func (p *Problem) retried(now time.Time, retries int) *Problem {
	if p.Code == parse.NotReadable {
		at := now.Add(min(time.Hour, time.Minute<<min(retries, 6)))
		p.RetryAt = &at
	}
	return p
}
